"""Extensions of Sphinx from which the site is made."""
