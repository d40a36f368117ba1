"""numpy.linalg on 500 by 500 matrices."""

import numpy as np

numbers = np.random.RandomState(1)
a = numbers.rand(500, 500) + 500 * np.eye(500)
b = numbers.rand(500)
print(np.allclose(a @ np.linalg.solve(a, b), b), round(float(np.linalg.slogdet(a)[1]), 6))
u, s, v = np.linalg.svd(a[:200, :200])
print(round(float(s[0]), 6), np.allclose((u * s) @ v, a[:200, :200]))
print(np.abs(np.linalg.inv(a) @ a - np.eye(500)).max() < 1e-9, np.linalg.matrix_rank(a))
