/** The page's style sheet: no fonts, images or scripts from anywhere; light, dark and print. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fcfcfa;--card:#fff;--ink:#1f262d;--soft:#5d6873;--faint:#8b959e;--rule:#e4e6e3;--grid:#eceeeb;
--candidate:#2868a8;--champion:#b9770e;--baseline:#8d979f;--positive:#c2513d;--negative:#4f8a9c;--good:#27754a;--good-wash:#e9f4ed;--bad:#b23a2e;--bad-wash:#fbecea;
--train:#dfe6ec;--validate:#c8d8e6;--test:#a9c6e0;--band-ink:#22303c}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1b2025;--ink:#e6e9ea;--soft:#a4adb4;--faint:#7f8990;--rule:#2d343a;--grid:#272e34;
--candidate:#6cb0ee;--champion:#e3ac4f;--baseline:#87919a;--positive:#e68572;--negative:#73b3c6;--good:#78c899;--good-wash:#183023;--bad:#ee8b7f;--bad-wash:#38201d;
--train:#2a333b;--validate:#2e4355;--test:#325a7d;--band-ink:#e6e9ea}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:44px 28px 64px}
h1{font-size:29px;line-height:1.25;font-weight:650;letter-spacing:-.012em;margin:4px 0 18px;max-width:34em;overflow-wrap:anywhere}
h2{font-size:19px;font-weight:650;margin:52px 0 14px;letter-spacing:-.006em}
h3{font-size:15px;font-weight:600;margin:0 0 4px}
p{margin:0 0 10px}
.eyebrow{color:var(--soft);font-size:13.5px;margin:0;overflow-wrap:anywhere}.eyebrow b{color:var(--ink);font-weight:600}
.note-text{color:var(--soft);font-size:13.5px;max-width:62em}
.verdict{display:flex;gap:12px;align-items:baseline;padding:13px 18px;border-radius:8px;background:var(--good-wash);color:var(--good);margin:0}
.verdict.failed{background:var(--bad-wash);color:var(--bad)}.verdict b{font-weight:650}.verdict span{color:var(--ink)}
.cards{display:grid;grid-template-columns:repeat(3,1fr);gap:16px;margin-top:16px}
.card,figure{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:18px 20px;margin:0}
.card .big{font-size:34px;line-height:1.15;font-weight:600;letter-spacing:-.02em}.card .big small{font-size:13.5px;font-weight:400;color:var(--soft);letter-spacing:0;margin-left:8px}
.card dl{display:grid;grid-template-columns:1fr auto auto;gap:3px 12px;margin:12px 0 0;font-size:13.5px}.card dt{color:var(--soft)}.card dd{margin:0;text-align:right}
.better{color:var(--good)}.worse{color:var(--bad)}.even{color:var(--faint)}
.plots{display:grid;grid-template-columns:1fr 1fr;gap:16px;align-items:start}
figure{break-inside:avoid;min-width:0}figure svg{display:block;width:100%;height:auto;margin-top:6px}
figcaption{color:var(--soft);font-size:13px;line-height:1.45;margin-top:6px}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:0;padding:0;font-size:13px;color:var(--soft)}
.key{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;vertical-align:middle;background:currentColor}
.key.candidate{color:var(--candidate)}.key.champion{color:var(--champion)}.key.baseline{color:var(--baseline)}.key.positive{color:var(--positive)}.key.negative{color:var(--negative)}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--soft)}
svg .label{fill:var(--ink);font-size:12.5px}svg .name{fill:var(--ink)}svg .value,svg .note{font-size:11.5px}
svg .band-name{fill:var(--band-ink);font-weight:600;font-size:13px}svg .band-rows{fill:var(--band-ink);font-size:12.5px}
.grid{stroke:var(--grid)}.axis,.tick{stroke:var(--faint)}.reference{stroke:var(--faint);stroke-dasharray:2 4;fill:none}.boundary{stroke:var(--rule);stroke-width:1.5}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round}.line.thin{stroke-width:1.4}
.line.candidate,.whisker{stroke:var(--candidate)}.line.champion{stroke:var(--champion);stroke-dasharray:7 3}.line.baseline{stroke:var(--baseline)}.whisker{stroke-width:1.4;opacity:.55}
.dot.candidate,.bar.candidate{fill:var(--candidate)}.count{fill:var(--candidate);opacity:.16}
.area{fill-opacity:.26;stroke-width:1.6}.area.positive{fill:var(--positive);stroke:var(--positive)}.area.negative{fill:var(--negative);stroke:var(--negative)}
.band.train{fill:var(--train)}.band.validate{fill:var(--validate)}.band.test{fill:var(--test)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:8px 14px 8px 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:500;color:var(--soft);font-size:13px;white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}td:last-child,th:last-child{padding-right:0}
td.mark{font-weight:700;width:1.9em}td.name{font-weight:500;overflow-wrap:break-word}tr.best td{font-weight:600}
code{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
section>figure+.scroll{margin-top:14px}.scroll+.note-text{margin-top:12px}
details{margin-top:14px}summary{cursor:pointer;color:var(--soft);font-size:14px;padding:4px 0}
footer{margin-top:52px;color:var(--faint);font-size:13px}
@media screen and (max-width:820px){.plots,.cards{grid-template-columns:1fr}main{padding:28px 16px}h1{font-size:24px}}
@media print{:root{color-scheme:light;--paper:#fff}body{font-size:11.5px}main{max-width:none;padding:0}h2{margin-top:24px;break-after:avoid}section{break-before:auto}.cards{gap:10px}.plots{gap:10px}.card,figure{padding:10px 12px}.card .big{font-size:24px}.card dl{font-size:10.5px}figcaption,.note-text,.legend{font-size:10.5px}table{font-size:11px}th{font-size:10.5px}th,td{padding-top:4px;padding-bottom:4px}table,tr,.card{break-inside:avoid}h1{font-size:22px}}
`;
