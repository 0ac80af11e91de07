/** Reads CSV (RFC 4180) as it comes, in pieces that may end anywhere. */
export class CsvReader {
  private row: string[] = [];
  private cell = "";
  private isQuoted = false;
  private isAfterQuote = false; // a second one stands for itself
  private isBeginning = true;

  /** The rows that are complete with this piece. */
  push(text: string): string[][] {
    const rows: string[][] = [];
    let from = 0;
    if (this.isBeginning && text) {
      this.isBeginning = false;
      if (text.startsWith("\ufeff")) from = 1;
    }
    for (let at = from; at < text.length; at++) this.take(text[at] as string, rows);
    return rows;
  }

  /** The last row, where no line end follows it. */
  end(): string[][] {
    if (!this.cell && !this.row.length) return [];
    this.row.push(this.cell);
    const last = this.row;
    this.row = [];
    this.cell = "";
    return [last];
  }

  private take(sign: string, rows: string[][]): void {
    if (this.isQuoted && sign !== '"') {
      this.cell += sign;
    } else if (sign === '"') {
      if (this.isQuoted) this.isAfterQuote = true;
      else if (this.isAfterQuote) this.cell += '"';
      this.isQuoted = !this.isQuoted;
      return;
    } else if (sign === ",") {
      this.row.push(this.cell);
      this.cell = "";
    } else if (sign === "\n") {
      this.row.push(this.cell);
      rows.push(this.row);
      this.row = [];
      this.cell = "";
    } else if (sign !== "\r") {
      this.cell += sign;
    }
    this.isAfterQuote = false;
  }
}

const FORMULA = /^[=+\-@\t\r]/;

/** A line of CSV; a cell that a spreadsheet would take for a formula has an apostrophe before it. */
export function csvLine(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => quoted(typeof cell === "number" ? String(cell) : asText(cell))).join(",")}\r\n`;
}

/** The same for cells that are as the server gave them. */
export function csvLineAsIs(cells: readonly string[]): string {
  return `${cells.map(quoted).join(",")}\r\n`;
}

const asText = (cell: string) => (FORMULA.test(cell) ? `'${cell}` : cell);
const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell);
