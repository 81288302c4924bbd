/** Charts of the last minutes. The only importer of uplot. */

import uPlot from 'uplot';
import { element } from './dom.ts';

/** Frames that are shown: five minutes of one a second. */
const FRAMES_MAX = 300;
const HEIGHT = 150;
const COLORS = ['#3b8eea', '#e0793a', '#3fae72', '#b565d8', '#d84f6a', '#8a8f3a', '#3aa6b9', '#8b6bd1'];

export interface ChartOptions {
  readonly title: string;
  readonly series: readonly string[];
  readonly format: (value: number) => string;
}

export class Chart {
  readonly #plot: uPlot;
  readonly #watch: ResizeObserver;
  readonly #data: number[][];

  constructor(parent: HTMLElement, { title, series, format }: ChartOptions) {
    const figure = element('figure', { 'aria-label': title }, element('figcaption', {}, title));
    parent.append(figure);
    this.#data = [[], ...series.map(() => [])];
    const axis = { stroke: softColor, grid: { stroke: () => `${softColor()}33`, width: 1 }, ticks: { show: false } };
    const options: uPlot.Options = {
      width: figure.clientWidth || 320,
      height: HEIGHT,
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [
        { ...axis, space: 90, values: (_plot, seconds) => seconds.map(timeOfDay) },
        { ...axis, size: 64, values: (_plot, values) => eachOnce(values.map(format)) },
      ],
      series: [
        {
          label: 'time',
          value: (_plot: uPlot, seconds: number | null) => (seconds === null ? '' : timeOfDay(seconds)),
        },
        ...series.map((label, index) => ({
          label,
          stroke: COLORS[index % COLORS.length]!,
          width: 2,
          points: { show: false },
          value: (_plot: uPlot, value: number | null) => (value === null ? '' : format(value)),
        })),
      ],
    };
    this.#plot = new uPlot(options, this.#data as uPlot.AlignedData, figure);
    this.#watch = new ResizeObserver(() => this.#plot.setSize({ width: figure.clientWidth, height: HEIGHT }));
    this.#watch.observe(figure);
  }

  /** Lets go of the window, which plots listen to. */
  close(): void {
    this.#watch.disconnect();
    this.#plot.destroy();
  }

  /** @param atSeconds - Wall time. */
  add(atSeconds: number, values: readonly number[]): void {
    this.#data[0]!.push(atSeconds);
    values.forEach((value, index) => this.#data[index + 1]!.push(value));
    if (this.#data[0]!.length > FRAMES_MAX) for (const each of this.#data) each.shift();
    // One point has no span, and the axis would show years.
    if (this.#data[0]!.length > 1) this.#plot.setData(this.#data as uPlot.AlignedData);
  }
}

/** Asked at each drawing: the evening turns a page dark that has been open since the morning. */
function softColor(): string {
  return getComputedStyle(document.body).getPropertyValue('--soft');
}

/** In the browser's zone, 24 hours. */
function timeOfDay(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString('en-GB');
}

/** Of halves that are rounded to the same whole number, the first is enough. */
function eachOnce(labels: readonly string[]): string[] {
  return labels.map((label, index) => (label === labels[index - 1] ? '' : label));
}
