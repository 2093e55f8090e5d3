/** What this page adds to the house's style sheet. */
export const EXPLORE_STYLE = `
:root{--heat-plus:40,104,168;--heat-minus:194,81,61;--miss:122,96,160}
@media (prefers-color-scheme:dark){:root{--heat-plus:108,176,238;--heat-minus:230,133,114;--miss:176,152,216}}
.cards.four{grid-template-columns:repeat(4,1fr)}
.card .big{overflow-wrap:anywhere}.card p{color:var(--soft);font-size:13px;margin:6px 0 0}
.suspects{list-style:none;margin:0;padding:0;display:grid;gap:10px}
.suspects li{background:var(--bad-wash);border-radius:8px;padding:12px 16px;display:grid;grid-template-columns:auto 1fr;gap:2px 14px;align-items:baseline}
.suspects b{color:var(--bad);font-weight:650;overflow-wrap:anywhere}.suspects .tag{color:var(--bad)}.suspects span:last-child{grid-column:1/-1}
.tag{font-size:12.5px;color:var(--soft)}
.grid-of-features{display:grid;grid-template-columns:repeat(3,1fr);gap:14px;align-items:stretch}
.feature{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px 10px;margin:0;min-width:0;break-inside:avoid;display:flex;flex-direction:column}
.feature h3{font-size:14px;overflow-wrap:anywhere;margin:0}.feature .tag{margin:0 0 2px;min-height:1.3em}.feature svg{display:block;width:100%;height:auto;margin-top:auto}
.feature.suspect{border-color:var(--bad)}.feature .auc{float:right;font-weight:600;font-size:13px;color:var(--soft);margin-left:10px}.feature.suspect .auc{color:var(--bad)}
.rows-of{fill:var(--baseline);fill-opacity:.32}.positives-of{fill:var(--positive);fill-opacity:.85}.rate{fill:none;stroke:var(--positive);stroke-width:1.8;stroke-linejoin:round}.rate-dot{fill:var(--positive)}
.box{fill:none;stroke:var(--soft);stroke-width:1.2}.box.median{stroke:var(--ink);stroke-width:1.8}
.key.rows-of{color:var(--baseline)}
.heat text{font-size:11px}.heat .name{font-size:11.5px}
.cell.plus{fill:rgb(var(--heat-plus))}.cell.minus{fill:rgb(var(--heat-minus))}.cell.miss{fill:rgb(var(--miss))}.cell.none{fill:var(--grid)}
td{line-height:1.35}.card td{padding-top:4px;padding-bottom:4px;font-size:13px}.note{color:var(--soft);font-size:13px}td .flag{color:var(--bad)}td.bar-cell{min-width:90px}
.meter{display:inline-block;height:8px;border-radius:2px;background:rgb(var(--miss));opacity:.75;vertical-align:baseline}
figure.wide{grid-column:1/-1}
@media screen and (max-width:980px){.grid-of-features{grid-template-columns:1fr 1fr}.cards.four{grid-template-columns:1fr 1fr}}
@media screen and (max-width:620px){.grid-of-features{grid-template-columns:1fr}}
`;
