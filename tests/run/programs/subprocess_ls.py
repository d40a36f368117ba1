"""subprocess.run of another program, whose output, input and exit status are seen."""

import subprocess

print(subprocess.run(["/usr/bin/ls"], cwd="/usr", capture_output=True, text=True))
print(subprocess.run(["/usr/bin/ls", "/missing"], capture_output=True, text=True))
print(subprocess.run(["/usr/bin/sort", "-r"], input="a\nc\nb\n", capture_output=True, text=True).stdout)
