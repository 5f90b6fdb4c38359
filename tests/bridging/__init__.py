"""What is carried between the two eras: the table, the tests that show it, and the page that is made of both."""
