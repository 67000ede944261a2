"""The program in torch: modules, their weights, and files that other programs run."""
