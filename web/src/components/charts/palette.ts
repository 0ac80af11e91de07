import "./palette.css";

/** Colours of lines, in order: CSS variables, so that they follow the theme. A ninth line begins again, dashed. */
export const PALETTE = ["--red", "--blue", "--green", "--gold", "--chart-5", "--chart-6", "--chart-7", "--chart-8"] as const;

export interface Line {
  label: string;
  /** As long as the chart's x; null: there is none. */
  values: (number | null)[];
  /** A variable of tokens.css or of the palette; by its place unless said. */
  colour?: string;
  isDashed?: boolean;
  /** Whether the area below it is tinted. */
  isFilled?: boolean;
  /** Stands in the chart, and not in its legend: the edge of a band. */
  isEdge?: boolean;
}

/** The tinted area between two lines, by their places; in the colour of a third. */
export interface Band {
  upper: number;
  lower: number;
  colour: string;
}

export function colourOf(line: Line, place: number): string {
  return line.colour ?? PALETTE[place % PALETTE.length] ?? "--red";
}

export function isDashed(line: Line, place: number): boolean {
  return line.isDashed ?? (line.colour === undefined && place >= PALETTE.length);
}
