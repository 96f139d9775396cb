"""``uss-web``: a page in the browser that finds the sounds of a recording and separates them."""
