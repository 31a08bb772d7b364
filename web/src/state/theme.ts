import { createTheme, localStorageColorSchemeManager, type MantineColorsTuple } from "@mantine/core";

const blue: MantineColorsTuple = [
  "#eaf1ff", "#d3e1fb", "#a8c3f4", "#7aa3ec", "#5488e4", "#3c76df", "#2f6bd8", "#215abf", "#1950ac", "#074498",
];

/** The library's dark greys, in the console's own bluish tone: text first, page last. */
const dark: MantineColorsTuple = [
  "#e8ebf0", "#c3c8d1", "#a0a9b8", "#7f899a", "#3a4150", "#2c333f", "#1a1e26", "#14171d", "#0d0f13", "#090b0e",
];

export const theme = createTheme({
  primaryColor: "norn",
  colors: { norn: blue, dark },
  primaryShade: { light: 7, dark: 4 },
  autoContrast: true,
  fontFamily: 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  defaultRadius: "sm",
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  headings: { fontWeight: "600" },
  cursorType: "pointer",
  respectReducedMotion: true,
});

export const schemeManager = localStorageColorSchemeManager({ key: "norn-color-scheme" });
