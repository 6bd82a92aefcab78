"""PostgreSQL: its connection, its tables and their versions. Imported where one is configured."""
