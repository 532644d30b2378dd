"""What several benchmarks need: data sets of made games, trainings of them, and rates."""
