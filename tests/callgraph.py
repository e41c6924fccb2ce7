# SPDX-License-Identifier: BSD-2-Clause
"""
Who calls whom among the files of one folder and its sub-folders, read from the C text.

A call is the name of a function, defined without `static` in another file, before a parenthesis.  A call through a table of hooks
names nobody and does not count: the table says who hears of what, and the caller does not depend on it.
"""
import re

DEFINITION = re.compile(r"^(static )?[\w ]*[\w*] ?\*?\n([a-z_]\w*)\([^;{}]*?\)\n\{(.*?)^\}", re.M | re.S)


def calls(texts):
    """{file: text without comments} -> {file: {other file: {function: line of its first call}}}"""
    home, bodies = {}, []
    for name, text in texts.items():
        for found in DEFINITION.finditer(text):
            if not found.group(1):
                home[found.group(2)] = name
            bodies.append((name, text.count("\n", 0, found.start(3)) + 1, found.group(3)))
    edges = {name: {} for name in texts}
    for name, line, body in bodies:
        for call in re.finditer(r"\b([a-z_]\w*)\s*\(", body):
            to = home.get(call.group(1))
            if to and to != name:
                edges[name].setdefault(to, {}).setdefault(call.group(1), line + body.count("\n", 0, call.start()))
    return edges


def bodies(texts):
    """{function: {file: its body}}, static ones too"""
    found = {}
    for name, text in texts.items():
        for definition in DEFINITION.finditer(text):
            found.setdefault(definition.group(2), {})[name] = definition.group(3)
    return found


def circles(edges):
    """Sets of files that call one another in a circle, each as large as can be (Tarjan's strongly connected components)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in edges[v]:
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            found.append(stack[stack.index(v):])
            del stack[stack.index(v):]

    for v in edges:
        if v not in index:
            visit(v)
    return [sorted(c) for c in found if len(c) > 1]
