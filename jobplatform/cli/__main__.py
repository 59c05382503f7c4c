"""``python -m jobplatform.cli``: the command line of this Python."""

from jobplatform.cli import main

main(prog_name="jobplatform")
