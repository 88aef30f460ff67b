"""Step 9, runs side by side: which is better, by how much, and whether that is more than chance.
`reading` takes from the folders of finished runs what is compared, `grouping` puts together runs
on one split and seeds of one recipe, `significance` tests whether two runs differ, and `report`
puts it all into tables, sentences, a picture and a page. Start with `compare_pairs` in
`significance`, or with `compare.py`, which takes these steps in order.
"""
