# SPDX-License-Identifier: Apache-2.0
"""The results as tables on a terminal, and as one HTML file.

The file needs no network and no scripts: the curves are SVG in it.
"""
import html as markup
import os

COLORS = ("#4269d0", "#c2700a", "#d1495b", "#2b9c8f", "#3a8f3a", "#8a6fb5",
          "#a0522d", "#5b7083", "#b0287f", "#7a7a12", "#111f66")


def fmt(v, digits=3):
    if v is None:
        return "-"
    if isinstance(v, int):
        return "%d" % v
    if isinstance(v, float) and 0 < abs(v) < 1e-3:
        return "%.1e" % v
    return "%.*f" % (digits, v) if isinstance(v, float) else str(v)


def percent(v):
    return "-" if v is None else "%.1f" % (100 * v)


def plain(text):
    """A name out of the data, without characters that drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def tables(result):
    """(title, remark, headings, rows of strings) of every table but those of
    the figures."""
    for kind, rows in result["categories"].items():
        yield ("%s: categories" % kind.capitalize(),
               "AUPRC, and the AUPRC of chance; the others at the policy's "
               "score for a flag",
               ("category", "texts", "AUPRC", "chance", "F1", "precision",
                "recall", "tp", "fp", "fn"),
               [(r["category"], fmt(r["texts"]), fmt(r["auprc"]),
                 fmt(r["chance"]), fmt(r["f1"]), fmt(r["precision"]),
                 fmt(r["recall"]), fmt(r["tp"]), fmt(r["fp"]), fmt(r["fn"]))
                for r in rows])
    yield ("Sources",
           "Share of texts flagged (or more) and blocked by the policy, in "
           "percent: of harmless texts this is over-refusal; AUC of the "
           "highest score",
           ("source", "texts", "harmful", "flagged", "blocked", "benign",
            "flagged", "blocked", "AUC"),
           [(plain(r["source"]), fmt(r["texts"]), fmt(r["harmful"]),
             percent(r["harmful_flagged"]), percent(r["harmful_blocked"]),
             fmt(r["benign"]), percent(r["benign_flagged"]),
             percent(r["benign_blocked"]), fmt(r["auc"]))
            for r in result["sources"]])
    said = sorted({s for v in result["confusion"].values() for s in v})
    yield ("Confusion",
           "Label (down) by the flagged category of the highest score "
           "(across)",
           ("label", *said),
           [(k, *(fmt(v.get(s, 0)) for s in said))
            for k, v in result["confusion"].items()])
    for kind, c in result["calibration"].items():
        yield ("%s: calibration" % kind.capitalize(),
               "Highest score against the share of harmful texts; expected "
               "calibration error %s" % fmt(c["error"]),
               ("scores", "texts", "mean score", "harmful"),
               [("%.1f-%.1f" % (i / 10, (i + 1) / 10), fmt(n), fmt(s),
                 fmt(h)) for i, (n, s, h) in enumerate(c["bins"]) if n])
    if result["plugins"]:
        cats = sorted({c for v in result["plugins"].values() for c in v})
        yield ("Plugins", "AUPRC of each plugin's own findings, as they "
               "count after those of later plugins",
               ("category", *result["plugins"]),
               [(c, *(fmt(v.get(c)) for v in result["plugins"].values()))
                for c in cats])
    for title, remark, times in (
            ("Time of the texts above", "Microseconds in each plugin for a "
             "text, whatever its length", result["time"]),
            ("Time of 500 bytes", "Microseconds on one core, one text at a "
             "time", result["speed"])):
        if times:
            yield (title, remark,
                   ("plugin", "median", "p99", "mean", "texts"),
                   [(k, fmt(v["median"], 1), fmt(v["p99"], 1),
                     fmt(v["mean"], 1), fmt(v["texts"]))
                    for k, v in times.items()])


def head_lines(result):
    yield "%d texts (%s), fold %s%s" % (
        result["texts"], ", ".join("%d %s" % (n, k) for k, n in sorted(
            result["kinds"].items())), result["fold"],
        "" if not result["head"] else ", all as " + result["head"])
    if result["sources_chosen"]:
        yield "sources: " + plain(result["sources_chosen"])
    yield "files: " + plain(", ".join(result["files"]))
    for p in result["chain"]:
        yield "plugin %s %s, %s rules, %s" % (
            p["name"], p.get("version", "?"), p.get("rules", "?"),
            p.get("digest", "")[:19])
    yield "left out of training: " + plain(
        result["left_out"] or "not said (--leave-out)")


def terminal(result, out):
    """Print everything as text."""
    for line in head_lines(result):
        print(line, file=out)
    for title, remark, heads, rows in tables(result):
        print("\n%s\n  %s" % (title, remark), file=out)
        widths = [max(len(str(r[i])) for r in [heads, *rows])
                  for i in range(len(heads))]
        for r in (heads, *rows):
            print("  " + "  ".join(
                str(c).ljust(w) if i == 0 else str(c).rjust(w)
                for i, (c, w) in enumerate(zip(r, widths))), file=out)
    for title, text, results in result["figures"]:
        print("\n%s\n  %s" % (title, text), file=out)
        for r in results:
            print("  %-24s %6d texts   %s" % (
                r["key"], r["texts"], fmt(r["value"])), file=out)
            for name, v in r["shown"]:
                print("      %-36s %s" % (name, fmt(v)), file=out)


# ---- HTML

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}
p.remark{margin:.2rem 0 .6rem;opacity:.8;max-width:50rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;
font-size:.87rem}
th,td{padding:.18rem .6rem;text-align:right;border-bottom:1px solid
var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
tbody tr:hover{background:var(--soft)}
svg{max-width:100%;height:auto}svg text{font:11px system-ui,sans-serif;
fill:currentColor}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem}
.key i{display:inline-block;width:.9rem;height:.25rem;margin-right:.35rem;
vertical-align:middle}
"""


def esc(text):
    return markup.escape(str(text), quote=True)


def table(heads, rows):
    return ("<div class=wide><table><thead><tr>%s</tr></thead><tbody>%s"
            "</tbody></table></div>") % (
        "".join("<th scope=col>%s</th>" % esc(h) for h in heads),
        "".join("<tr>%s</tr>" % "".join("<td>%s</td>" % esc(c) for c in r)
                for r in rows))


def thin(points, steps=300):
    """At most about `steps` points: those at which something moves."""
    out = []
    for p in points:
        if not out or abs(p[0] - out[-1][0]) >= 1 / steps or \
                abs(p[1] - out[-1][1]) >= 1 / steps:
            out.append(p)
    if points and out[-1] != points[-1]:
        out.append(points[-1])
    return out


def plot(label, xname, yname, lines, diagonal=False):
    """A square from 0 to 1 with lines of (x, y), as SVG."""
    size, left, low = 300, 44, 320
    parts = ['<svg role=img aria-label="%s" viewBox="0 0 370 360" '
             'width=370 height=360>' % esc(label)]
    for i in range(0, 11, 2):
        at = i / 10
        x, y = left + size * at, low - size * at
        parts.append('<path d="M%.1f %dV%dM%d %.1fH%d" '
                     'stroke="currentColor" stroke-opacity=".15"/>' % (
                         x, low, low - size, left, y, left + size))
        parts.append('<text x="%.1f" y="%d" text-anchor=middle>%.1f</text>'
                     '<text x="%d" y="%.1f" text-anchor=end>%.1f</text>' % (
                         x, low + 15, at, left - 6, y + 4, at))
    if diagonal:
        parts.append('<path d="M%d %dL%d %d" stroke="currentColor" '
                     'stroke-dasharray="3 4" stroke-opacity=".5"/>' % (
                         left, low, left + size, low - size))
    for (name, points), color in zip(lines, COLORS):
        at = ["%.1f %.1f" % (left + size * x, low - size * y)
              for x, y in thin(points)]
        if len(at) == 1:
            at *= 2
        if at:
            parts.append('<polyline points="%s" fill=none stroke="%s" '
                         'stroke-width=1.8 stroke-linecap=round><title>%s'
                         '</title></polyline>' % (" ".join(at), color,
                                                  esc(name)))
    parts.append('<text x="%d" y="%d" text-anchor=middle>%s</text>' % (
        left + size / 2, low + 33, esc(xname)))
    parts.append('<text transform="translate(12 %d) rotate(-90)" '
                 'text-anchor=middle>%s</text></svg>' % (
                     low - size / 2, esc(yname)))
    key = "".join("<span><i style=\"background:%s\"></i>%s</span>" % (
        color, esc(name)) for (name, _), color in zip(lines, COLORS))
    return "<figure>%s<figcaption class=key>%s</figcaption></figure>" % (
        "".join(parts), key)


def html(result, curves):
    """The report as one page."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8>"
             "<meta name=viewport content='width=device-width'>"
             "<title>Moderation: evaluation</title><style>", STYLE,
             "</style><h1>Moderation: evaluation</h1>"]
    parts += ["<div>%s</div>" % esc(line) for line in head_lines(result)]
    for title, text, results in result["figures"]:
        parts.append("<h2>%s</h2><p class=remark>%s</p>" % (
            esc(title), esc(text)))
        names = list(dict.fromkeys(n for r in results
                                   for n, _ in r["shown"]))
        parts.append(table(("figure", "texts", "value", *names), [
            (r["key"], fmt(r["texts"]), fmt(r["value"]),
             *(fmt(dict(r["shown"]).get(n)) for n in names))
            for r in results]))
    for kind, lines in curves.items():
        parts.append("<h2>%s: precision and recall</h2>" % esc(
            kind.capitalize()))
        parts.append(plot("Precision by recall", "recall", "precision",
                          sorted(lines.items())))
    if result["calibration"]:
        parts.append("<h2>Calibration</h2><p class=remark>On the dashed "
                     "line, a score is the share of harmful texts.</p>")
        parts.append(plot(
            "Share of harmful texts by score", "mean score", "harmful",
            [(kind, [(s, h) for n, s, h in c["bins"] if n])
             for kind, c in result["calibration"].items()], diagonal=True))
    for title, remark, heads, rows in tables(result):
        parts.append("<h2>%s</h2><p class=remark>%s</p>%s" % (
            esc(title), esc(remark), table(heads, rows)))
    return "".join(parts) + "\n"


def write(path, text):
    """Write a whole file, or leave what is there."""
    new = "%s.new" % path
    try:
        with open(new, "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(new, path)
    except (OSError, ValueError):
        if os.path.exists(new):
            os.unlink(new)
        raise
