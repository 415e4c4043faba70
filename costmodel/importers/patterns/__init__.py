"""Several operators of a source that are one operator of ours.

Users write a channel shuffle as reshape, transpose, copy and reshape; exporters take activations
and normalizations apart. A pattern is a function of the value that the last of the pieces makes: it
says which operator stands for all of them, or None. It only looks: :mod:`.together` sees to it that
nothing else takes what is computed in between.
"""
