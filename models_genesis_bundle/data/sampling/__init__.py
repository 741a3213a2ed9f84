"""Which item comes next, and with which random draws."""
