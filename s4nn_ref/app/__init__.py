"""The program around the network: command line, runs and their records, files, reports, prediction."""
