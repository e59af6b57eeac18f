// Owns the colours that are drawn on canvas, where CSS custom properties do not reach. Series colours follow Okabe and Ito's
// set, darkened on white and lightened on black; after eight runs the same colours come back dashed.
import { useComputedColorScheme } from '@mantine/core';

export interface Palette {
  series: string[];
  text: string;
  faint: string;
  line: string;
  grid: string;
  card: string;
  tooltip: string;
  /** Diverging, low to high, neutral in the middle. */
  diverging: string[];
  /** Sequential, for ordered families such as layers. */
  sequential: string[];
}

const LIGHT: Palette = {
  series: ['#0b62c4', '#d1550b', '#00855f', '#b0468f', '#b07900', '#3a9bd6', '#5b4bb5', '#7a5a3c'],
  text: '#4a5364',
  faint: '#626c7e',
  line: '#c8ced9',
  grid: '#eceff4',
  card: '#ffffff',
  tooltip: '#ffffff',
  diverging: ['#123f73', '#2f74b5', '#93bfe0', '#f2f2ee', '#f5b888', '#d9691f', '#8a3304'],
  sequential: ['#31135e', '#3b3f9c', '#2a6fae', '#1f9396', '#3aa86a', '#93b43a', '#d0a51c', '#d97a1a'],
};

const DARK: Palette = {
  series: ['#5ab0ff', '#ff9257', '#3ccf9f', '#ec8fca', '#f2c14e', '#9fd8ff', '#a9a1ff', '#d2aa80'],
  text: '#b0b9c9',
  faint: '#8d98ab',
  line: '#35415a',
  grid: '#1c2432',
  card: '#131926',
  tooltip: '#1b2435',
  diverging: ['#8fd0ff', '#3d94e0', '#24507f', '#1d2534', '#7d4420', '#e27a2c', '#ffc48c'],
  sequential: ['#b39bff', '#8f9dff', '#62b0f5', '#44c4c4', '#58d296', '#a9d860', '#e8cc4e', '#ff9f4a'],
};

export function usePalette(): Palette {
  return useComputedColorScheme('light') === 'dark' ? DARK : LIGHT;
}

export function seriesLook(index: number, palette: Palette): { color: string; dashed: boolean } {
  const count = palette.series.length;
  return { color: palette.series[index % count] as string, dashed: Math.floor(index / count) % 2 === 1 };
}

/** `count` colours spread over the sequential scale. */
export function spread(palette: Palette, index: number, count: number): string {
  const scale = palette.sequential;
  if (count <= 1) return scale[2] as string;
  return scale[Math.round((index * (scale.length - 1)) / (count - 1))] as string;
}
