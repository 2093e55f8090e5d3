/** The frame of a plot: axes, ticks, grid, labels, legend and the text for those who cannot see it. */
import { type Html, html } from './html.ts';

/** An axis over `low`..`high`; `text` writes a tick. */
export interface Axis {
  label: string;
  low: number;
  high: number;
  ticks: number[];
  text: (tick: number) => string;
}

/** Where plot coordinates fall, in user units of the SVG. */
export interface Scale {
  x: (value: number) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface LegendEntry {
  /** CSS class of the series: 'candidate', 'baseline', 'champion', 'positive', 'negative'. */
  series: string;
  label: string;
}

export interface PlotSpec {
  /** Unique on the page. */
  id: string;
  title: string;
  /** What the plot shows, in words and figures. */
  description: string;
  caption: string;
  x: Axis;
  y: Axis;
  legend?: LegendEntry[];
  height?: number;
  left?: number;
}

export const WIDTH = 520;

/** One decimal is a tenth of a pixel. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** A figure with axes; `draw` fills the inside. */
export function plot(spec: PlotSpec, draw: (scale: Scale) => Html | Html[]): Html {
  const { x, y, height = 330, left = 52 } = spec;
  const box = { left, right: WIDTH - 14, top: 12, bottom: height - 44 };
  const scale: Scale = {
    ...box,
    x: (value) => box.left + ((value - x.low) / (x.high - x.low || 1)) * (box.right - box.left),
    y: (value) => box.bottom - ((value - y.low) / (y.high - y.low || 1)) * (box.bottom - box.top),
  };
  const svg = html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${spec.id}-title ${spec.id}-text">
<title id="${spec.id}-title">${spec.title}</title><desc id="${spec.id}-text">${spec.description}</desc>
${y.ticks.map((tick) => yTick(tick, y, scale))}${x.ticks.map((tick) => xTick(tick, x, scale))}
<line class="axis" x1="${px(box.left)}" y1="${px(box.bottom)}" x2="${px(box.right)}" y2="${px(box.bottom)}"/>
${draw(scale)}
<text class="label" x="${px((box.left + box.right) / 2)}" y="${height - 6}" text-anchor="middle">${x.label}</text>
<text class="label" transform="translate(13 ${px((box.top + box.bottom) / 2)}) rotate(-90)" text-anchor="middle">${y.label}</text>
</svg>`;
  return figureOf(spec, svg);
}

/** Title, legend, drawing and caption. */
export function figureOf(spec: Pick<PlotSpec, 'title' | 'caption' | 'legend'>, svg: Html): Html {
  const legend = (spec.legend ?? []).map(({ series, label }) => html`<li><i class="key ${series}"></i>${label}</li>`);
  return html`<figure><h3>${spec.title}</h3>${legend.length > 0 && html`<ul class="legend">${legend}</ul>`}
${svg}<figcaption>${spec.caption}</figcaption></figure>`;
}

function xTick(tick: number, axis: Axis, scale: Scale): Html {
  const at = px(scale.x(tick));
  return html`<line class="tick" x1="${at}" y1="${px(scale.bottom)}" x2="${at}" y2="${px(scale.bottom + 4)}"/><text class="tick-text" x="${at}" y="${px(scale.bottom + 17)}" text-anchor="middle">${axis.text(tick)}</text>`;
}

function yTick(tick: number, axis: Axis, scale: Scale): Html {
  const at = px(scale.y(tick));
  return html`<line class="grid" x1="${px(scale.left)}" y1="${at}" x2="${px(scale.right)}" y2="${at}"/><text class="tick-text" x="${px(scale.left - 7)}" y="${at}" dy="0.32em" text-anchor="end">${axis.text(tick)}</text>`;
}

/** `points` attribute of a polyline. */
export function path(points: readonly { x: number; y: number }[], { x, y }: Scale): string {
  return points.map((point) => `${px(x(point.x))},${px(y(point.y))}`).join(' ');
}
