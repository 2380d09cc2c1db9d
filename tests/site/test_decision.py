"""The page of one decision: its network computes what Python's does, and it can be used by mouse and by keys."""

import json
import random
import sys
from base64 import b64decode, b64encode

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageDraw

from s4nn_ref.app import shipped
from s4nn_ref.app.storage import read_weights
from s4nn_ref.data.dataset import load, whereabouts
from s4nn_ref.data.like_mnist import like_mnist
from s4nn_ref.network import Network, Settings

sys.path.append(str(ROOT / "docs"))
from press import decision, decision_data

DIGITS = [name for name in decision_data.NETWORKS if name.startswith("mnist") and name in shipped.networks()]
MEGABYTES = 8


def base64(array):
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()


@pytest.fixture
def opened(html, page):
    """The page of one decision, its two parts loaded."""
    page.goto((html / "decision" / "index.html").as_uri())
    for part in ("test-image", "drawing"):
        page.wait_for_selector(f"#{part} .images button")
    return page


@pytest.fixture(scope="module")
def digits():
    """Test images of MNIST, or embedded digits where it is not at hand."""
    here = all(path for _, path in whereabouts("mnist"))
    return load("mnist" if here else "glyphs", "test").images[:100]


# firing times of all layers, as text: much faster than as numbers
SENT = """layers => {
    let text = ""
    for (const times of layers) for (const byte of new Uint8Array(times.buffer)) text += String.fromCharCode(byte)
    return btoa(text) }"""


def received(text):
    return np.frombuffer(b64decode(text), np.int16)


def presented(page, network, classes, images):
    """Python's run of each image, and the page's: (firing times of all layers, class) twice."""
    page.evaluate(
        """([text, weights]) => Object.assign(window, {network: JSON.parse(text), weights: floatsOf(weights)})""",
        [json.dumps(decision_data.description(network, classes)), base64(network.parameters)],
    )
    states = network.forward(network.encode(images))
    labels = network.outputs(states).decisions()
    for b, image in enumerate(images):
        times, label = page.evaluate(
            f"""pixels => {{
                const run = forward(network, weights, bytesOf(pixels))
                return [({SENT})(run.times), run.label] }}""",
            base64(image),
        )
        own = np.concatenate([state.t_post[b].ravel() for state in states])
        yield (own, labels[b]), (received(times), label)


@pytest.mark.parametrize("name", DIGITS)
def test_firing_times_equal_those_of_python(opened, digits, name):
    network, config = read_weights(shipped.networks()[name])
    for b, (own, of_page) in enumerate(presented(opened, network, config.classes, digits)):
        np.testing.assert_array_equal(of_page[0], own[0], err_msg=f"{name}, image {b}")
        assert of_page[1] == own[1]


@pytest.mark.parametrize(
    ("structure", "settings"),
    [
        ("3C3S2-P2-4C2-5", {}),
        ("3C3S2-P2-4C2-5", {"padding": "same", "collapse": (1.5, 0.5, 2.0)}),
        ("4C4-P3-6-5", {"exceeds": True, "t_max": 7}),
    ],
)
def test_other_networks_are_computed_as_well(opened, structure, settings):
    """Strides, windows that do not divide a layer, hidden dense layers; weights that make ties and silence common."""
    rng = np.random.default_rng(5)
    network = Network(Settings(structure, input_shape=(11, 13, 1), v_th=4.0, **settings))
    network.parameters[...] = rng.integers(-8, 12, network.parameters.size) / 4
    images = rng.choice(np.array([0, 30, 200, 255], np.uint8), (20, 11, 13, 1), p=(0.7, 0.1, 0.1, 0.1))
    seen = list(presented(opened, network, tuple("abcde"), images))
    for own, of_page in seen:
        np.testing.assert_array_equal(of_page[0], own[0])
        assert of_page[1] == own[1]
    outputs = network.outputs(network.forward(network.encode(images)))
    first = outputs.t_out.min(axis=1, keepdims=True)
    assert ((outputs.t_out == first).sum(axis=1) > 1).any(), "no tie was tested"
    assert (first == network.t_max).any(), "no silence was tested"


def test_potentials_are_added_in_pythons_order_and_precision(opened):
    """With weights between which 32 bits lose the small ones, every order of a step's spikes gives another sum."""
    rng = np.random.default_rng(6)
    network = Network(Settings("6C3-P2-5", input_shape=(9, 9, 1), v_th=3.0))
    network.parameters[...] = rng.choice([2.0**24, -(2.0**24), 1.0, 2.0], network.parameters.size)
    images = rng.choice(np.array([0, 150, 151, 255], np.uint8), (20, 9, 9, 1))
    for own, of_page in presented(opened, network, tuple("abcde"), images):
        np.testing.assert_array_equal(of_page[0], own[0])
        assert of_page[1] == own[1]


def test_a_wrong_weight_is_noticed(opened, digits):
    network, config = read_weights(shipped.networks()["mnist-plus"])
    runs = presented(opened, network, config.classes, digits[:1])
    network.parameters[:64] += 1
    own, _ = next(runs)
    network.parameters[:64] -= 1
    assert (next(presented(opened, network, config.classes, digits[:1]))[1][0] != own[0]).any()


@pytest.mark.parametrize("one", [one for one in decision_data.shown() if one.images], ids=lambda one: one.name)
def test_what_python_wrote_is_what_the_page_shows(opened, one):
    """Images, firing times and classes of a network's file; one of each class that it decides right, then a mistake."""
    opened.evaluate("name => loaded(name)", one.name)
    images = load(one.images, "test")
    shown = opened.evaluate("name => s4nn.networks[name].images", one.name)
    wrong = [image["decided"] != image["label"] for image in shown]
    assert wrong == [False] * 10 + [True]
    assert [image["label"] for image in shown[:10]] == list(range(10))
    numbers = [image["number"] for image in shown]
    states = one.network.forward(one.network.encode(images.images[numbers]))
    assert [image["decided"] for image in shown] == one.network.outputs(states).decisions().tolist()
    for b, number in enumerate(numbers):
        assert b64decode(shown[b]["pixels"]) == images.images[number].tobytes()
        times = opened.evaluate(
            f"([name, b]) => ({SENT})(stored(s4nn.networks[name], s4nn.networks[name].images[b]).times)", [one.name, b]
        )
        np.testing.assert_array_equal(received(times), np.concatenate([state.t_post[b].ravel() for state in states]))


def drawings():
    """Strokes of any place, width and brightness on a field of any size. No two pixels are alike, so that no centre of
    mass lies just between two pixels."""
    rng, noise = random.Random(3), np.random.default_rng(3)
    for _ in range(30):
        size = (rng.randrange(60, 300), rng.randrange(60, 300))
        image = Image.new("L", size, rng.choice([0, 0, 20]))
        points = [(rng.randrange(size[0]), rng.randrange(size[1])) for _ in range(rng.randrange(2, 6))]
        ImageDraw.Draw(image).line(points, fill=rng.randrange(90, 256), width=rng.randrange(4, 30), joint="curve")
        yield (np.asarray(image) * noise.uniform(0.9, 1.0, size[::-1])).astype(np.uint8)
    yield from (np.pad(digit, 5) for digit in load("glyphs", "test").images[:5, ..., 0])


FRAMED = """([bytes, height, width]) => {
    const framed = likeMnist({height, width, data: Float64Array.from(bytesOf(bytes), (x) => x / 255)})
    return framed && Array.from(framed) }"""


def test_drawings_are_brought_into_the_form_of_mnist_as_python_does(opened):
    for canvas in drawings():
        own = like_mnist(canvas[..., None] / 255.0).image.ravel().astype(int)
        of_page = opened.evaluate(FRAMED, [base64(canvas), *canvas.shape])
        assert np.abs(np.array(of_page) - own).max() <= 1
    assert opened.evaluate(FRAMED, [base64(np.full((40, 40), 7, np.uint8)), 40, 40]) is None


# ------------------------------------------------------------------------------------------------ in use


def test_the_slider_shows_the_decision_when_it_falls(opened):
    part = opened.locator("#test-image")
    verdict, slider = part.locator(".verdict"), part.locator(".step")
    assert "No output neuron has fired yet" in verdict.inner_text()
    assert part.locator(".needed").inner_text() == "not yet"
    part.locator(".jump").click()
    time = int(slider.input_value())
    assert verdict.inner_text() == f"Step {time}: “0” is the first output to fire. That is the decision. It is right."
    assert part.locator(".outputs .won b").inner_text() == "0"
    assert part.locator(".outputs .won span").inner_text() == f"step {time}"
    slider.press("ArrowLeft")
    assert part.locator(".now").inner_text() == f"{time - 1} of 99"
    assert "No output neuron has fired yet" in verdict.inner_text()
    assert part.locator(".outputs .won").count() == 0
    slider.fill("99")
    so_far, of_all = part.locator(".so-far").inner_text().split(" of ")
    assert so_far == of_all
    assert "is the first output to fire" in verdict.inner_text()


def test_numbers_are_those_of_python(opened):
    network, config = read_weights(shipped.networks()["mnist-plus"])
    part, plus = opened.locator("#test-image"), opened.evaluate("s4nn.networks['mnist-plus'].images[3]")
    part.locator(".images button").nth(3).click()
    part.locator(".jump").click()
    pixels = np.frombuffer(b64decode(plus["pixels"]), np.uint8).reshape(1, 28, 28, 1)
    states = network.forward(network.encode(pixels, config.data.encoding))
    needed = int(network.spikes_until_decision(states).sum())
    all_of_them = sum(int((state.t_post < network.t_max).sum()) for state in states)
    assert part.locator(".so-far").inner_text() == f"{needed:,} of {all_of_them:,}"
    assert part.locator(".needed").inner_text() == f"{round(100 * needed / all_of_them)} % of spikes"
    fired = int((states[1].t_post <= network.outputs(states).t_out.min()).sum())
    assert f"{fired:,} of 50,176 neurons have fired" in part.locator(".layers figcaption").first.inner_text()


def test_maps_show_the_neurons_that_have_fired(opened):
    """As many pixels shine on each canvas as its layer has fired, and of them those of this step in white."""
    counted = opened.evaluate("""() => {
        const view = new StepView(document.querySelector("#test-image .step-view"))
        const network = s4nn.networks["mnist-plus"], run = stored(network, network.images[2])
        view.show(network, run, 2, 30)
        return view.maps.map(({canvas}, i) => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
            const drawn = new Uint32Array(pixels.buffer), times = run.times[i]
            const [shining, white] = [(p) => p && p !== pixelOf("#1b212e"), (p) => p === pixelOf("#ffffff")]
            const fired = [(t) => t <= 30, (t) => t === 30].map((test) => times.filter(test).length)
            return [drawn.filter(shining).length, drawn.filter(white).length, ...fired] }) }""")
    assert len(counted) == 5
    assert any(now for *_, now in counted), "nothing fires in the step that is shown"
    for shining, white, fired, now in counted:
        assert (shining, white) == (fired, now)
        assert fired > 50


def test_it_plays_up_to_the_decision_and_can_be_paused(opened):
    part = opened.locator("#test-image")
    play, slider = part.locator(".play"), part.locator(".step")
    play.press("Enter")
    opened.wait_for_function("document.querySelector('#test-image .step').value > 2")
    play.press("Enter")
    assert play.inner_text() == "Play"
    held = slider.input_value()
    opened.wait_for_timeout(400)
    assert slider.input_value() == held
    play.click()
    opened.wait_for_selector("#test-image .verdict.fallen")
    opened.wait_for_timeout(400)
    stopped = slider.input_value()
    part.locator(".jump").click()
    assert slider.input_value() == stopped


def test_calm_readers_see_few_long_steps(opened):
    opened.emulate_media(reduced_motion="reduce")
    opened.locator("#test-image .play").click()
    opened.wait_for_function("document.querySelector('#test-image .step').value > 0")
    assert int(opened.locator("#test-image .step").input_value()) == 10


ABOUT = "name => document.querySelector('#test-image .about').textContent === `${s4nn.networks[name]?.about}.`"


def test_every_network_and_image_can_be_chosen(opened):
    part = opened.locator("#test-image")
    names = part.locator(".network option").all_inner_texts()
    assert names == [one.name for one in decision_data.shown() if one.images]
    for name in names:
        part.locator(".network").select_option(name)
        opened.wait_for_function(ABOUT, arg=name)
        for i in range(part.locator(".images button").count()):
            part.locator(".images button").nth(i).click()
            part.locator(".step").fill("99")
            wrong = "wrong" in (part.locator(".images button").nth(i).get_attribute("class") or "")
            assert ("It is wrong: the image is" if wrong else "It is right.") in part.locator(".verdict").inner_text()


def test_a_digit_is_drawn_with_the_mouse_and_decided(opened):
    part = opened.locator("#drawing")
    part.locator(".pad").scroll_into_view_if_needed()
    box = part.locator(".pad").bounding_box()
    assert part.locator(".step-view").is_hidden()
    opened.mouse.move(box["x"] + 150, box["y"] + 50)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 130, box["y"] + 230, steps=5)
    opened.mouse.up()
    assert part.locator(".answer").inner_text().startswith("The network says 1, at step ")
    network, _ = read_weights(shipped.networks()["mnist-plus"])
    canvas = np.array(
        opened.evaluate("""() => {
        const pad = document.querySelector("#drawing .pad")
        return Array.from(pad.getContext("2d").getImageData(0, 0, 280, 280).data.filter((_, i) => i % 4 === 0)) }""")
    )
    image = like_mnist(canvas.reshape(280, 280, 1) / 255.0).image
    outputs = network.outputs(network.forward(network.encode(image[None])))
    assert outputs.decisions()[0] == 1
    assert abs(int(part.locator(".step").input_value()) - int(outputs.t_out.min())) <= 1
    part.locator(".clear").click()
    assert part.locator(".answer").inner_text() == "Draw a digit, 0 to 9."
    assert part.locator(".step-view").is_hidden()


def test_a_digit_is_drawn_with_the_keys(opened):
    pad, answer = opened.locator("#drawing .pad"), opened.locator("#drawing .answer")
    pad.press("Space")
    for _ in range(18):
        pad.press("ArrowDown")
    pad.press("Space")
    assert answer.inner_text().startswith("The network says 1")
    opened.locator("#drawing .images button").nth(8).press("Enter")
    assert answer.inner_text().startswith("The network says 8")
    opened.locator("#drawing .network").select_option("mnist")
    opened.wait_for_function("document.querySelector('#drawing .about').textContent.includes('faithful')")
    assert answer.inner_text().startswith("The network says")
    opened.locator("#drawing .clear").click()
    opened.locator("#drawing .network").select_option("mnist-plus")
    opened.wait_for_function("document.querySelector('#drawing .about').textContent.includes('improved')")
    assert answer.inner_text() == "Draw a digit, 0 to 9."


def test_arrows_move_the_pen_and_never_leave_the_page(opened):
    """A theme may turn pages by arrow keys; those of the field, and of a wide table, are the reader's own."""
    pad, pen, here = opened.locator("#drawing .pad"), opened.locator("#drawing .pen"), opened.url
    pad.focus()
    left = float(pen.evaluate("pen => parseFloat(pen.style.left)"))
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        pad.press(key)
    assert pen.evaluate("pen => parseFloat(pen.style.left)") == left + 8
    pad.evaluate("pad => pad.blur()")
    opened.keyboard.press("ArrowRight")
    opened.wait_for_timeout(200)
    assert opened.url == here


def test_a_field_without_a_digit_is_told_and_no_old_answer_stays(opened):
    part = opened.locator("#drawing")
    part.locator(".images button").nth(3).click()
    assert part.locator(".answer").inner_text().startswith("The network says 3")
    white = "pad => Object.assign(pad.getContext('2d'), {fillStyle: '#fff'}).fillRect(0, 0, 280, 280)"
    part.locator(".pad").evaluate(white)
    part.locator(".pad").click()
    assert part.locator(".answer").inner_text().startswith("There is no digit to be seen")
    assert part.locator(".step-view").is_hidden()


# ------------------------------------------------------------------------------------------------ as built


def test_the_page_is_light(html):
    size = sum(path.stat().st_size for path in (html / "decision").rglob("*"))
    assert size < MEGABYTES * 2**20


def test_without_data_sets_digits_from_fonts_are_shown_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(decision_data, "at_hand", lambda dataset: dataset == "glyphs")
    shown = [decision_data.read(name) for name in ("mnist-plus", "fashion")]
    assert [one.images for one in shown] == ["glyphs", None]
    monkeypatch.setattr(decision_data, "shown", lambda: shown)
    said = decision.left_out()
    assert "mnist was not at hand: digits drawn from fonts stand in for it, with <code>mnist-plus</code>." in said
    assert "fashion-mnist was not at hand: what it is needed for is left out, <code>fashion</code>." in said
    assert len(decision_data.examples(shown[0])) == 11


def test_a_network_that_the_page_cannot_compute_fails_the_build():
    with pytest.raises(Exception, match=r"decision page: relpsp needs a forward pass"):
        decision_data.read("relpsp")
