"""Compiles a program with gcc, whose driver runs cc1, as and the linker, and runs it."""

import subprocess

with open("/tmp/hello.c", "w") as source:
    source.write('#include <stdio.h>\nint main(void) { printf("hello %d\\n", 6 * 7); return 3; }\n')
done = subprocess.run(["gcc", "-O2", "-Wall", "-o", "/tmp/hello", "/tmp/hello.c"], capture_output=True, text=True)
print(done.returncode, done.stdout, done.stderr)
print(subprocess.run(["/tmp/hello"], capture_output=True, text=True))
