"""Step 9, runs side by side. `compare.py` reads as the steps: `reading` takes from the folders of
finished runs what is compared, `grouping` puts together runs on one split and seeds of one recipe,
and `significance` tells differences from chance. `sections` puts that into tables and sentences,
`report` shows them on the terminal, as Markdown, in a picture and on a page. Start with
`significance`: which of two runs is better, and is that more than chance?
"""
