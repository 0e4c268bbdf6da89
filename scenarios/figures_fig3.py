def errors_against_noise(results): raise NotImplementedError
