"""CREATE TABLE of any dialect: read, judged by rules, written."""
