from archdsl.cli.app import main

main()
