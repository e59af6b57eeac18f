// Owns the Mantine theme. Colours of meaning (states, surfaces, scales) are CSS custom properties in styles/tokens.css.
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const ink: MantineColorsTuple = [
  '#eef0ff',
  '#dcdffb',
  '#b7bdf3',
  '#919aec',
  '#737de6',
  '#5f6ae2',
  '#4a52cf',
  '#3d44b4',
  '#3339a0',
  '#282d8a',
];

const slate: MantineColorsTuple = [
  '#c9d0dc',
  '#b4bccb',
  '#97a1b3',
  '#5b6579',
  '#3d4658',
  '#2a3242',
  '#1c2331',
  '#141a26',
  '#0f141e',
  '#0a0e16',
];

export const theme = createTheme({
  primaryColor: 'ink',
  primaryShade: { light: 6, dark: 5 },
  colors: { ink, dark: slate },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, monospace",
  headings: { fontFamily: "'Inter Variable', system-ui, sans-serif", fontWeight: '650' },
  defaultRadius: 'md',
  cursorType: 'pointer',
  autoContrast: true,
  components: {
    Tooltip: { defaultProps: { withArrow: true, openDelay: 250, events: { hover: true, focus: true, touch: true } } },
    Modal: { styles: { title: { fontSize: 17, fontWeight: 650, letterSpacing: '-0.01em' } } },
    Button: { defaultProps: { size: 'sm' } },
  },
});
