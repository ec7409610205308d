"""`python -m foreword.cli`: the command line without its console script."""

from foreword.cli.main import main

main()
