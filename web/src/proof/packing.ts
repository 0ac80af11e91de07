/** MessagePack, as far as a ledger's links need it, into one buffer that grows. See docs/proof.md. */
export class Packing {
  bytes = new Uint8Array(4096);
  length = 0;

  /** Begin anew. */
  clear(): this {
    this.length = 0;
    return this;
  }

  /** What was packed; only good until something else is. */
  get packed(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  list(items: number): void {
    this.room(5);
    if (items < 16) this.byte(0x90 | items);
    else this.head(items, items < 0x10000 ? 0xdc : 0xdd, items < 0x10000 ? 2 : 4);
  }

  number(value: number): void {
    this.room(9);
    if (value >= 0 && value < 0x80) this.byte(value);
    else if (value < 0) this.negative(value);
    else if (value < 0x100) this.head(value, 0xcc, 1);
    else if (value < 0x10000) this.head(value, 0xcd, 2);
    else if (value < 0x100000000) this.head(value, 0xce, 4);
    else this.head(value, 0xcf, 8);
  }

  /** Printable ASCII. */
  text(value: string): void {
    const { length } = value;
    this.textHead(length);
    for (let i = 0; i < length; i++) this.bytes[this.length + i] = value.charCodeAt(i);
    this.length += length;
  }

  /** Bytes that stand where a text does. */
  raw(value: Uint8Array): void {
    this.textHead(value.length);
    this.append(value);
  }

  /** Bytes as they are, without a head. */
  append(value: Uint8Array): void {
    this.room(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  private textHead(length: number): void {
    this.room(length + 3);
    if (length < 32) this.byte(0xa0 | length);
    else this.head(length, length < 0x100 ? 0xd9 : 0xda, length < 0x100 ? 1 : 2);
  }

  /** Units without end are −1; nothing else below 0 stands in a ledger that follows. */
  private negative(value: number): void {
    if (value < -32) throw new RangeError(`${value} is not in any ledger`);
    this.byte(value & 0xff);
  }

  private head(value: number, kind: number, size: number): void {
    this.byte(kind);
    let rest = value;
    for (let at = size - 1; at >= 0; at--) {
      this.bytes[this.length + at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.length += size;
  }

  private byte(value: number): void {
    this.bytes[this.length++] = value;
  }

  private room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const wider = new Uint8Array(2 * (this.length + more));
    wider.set(this.packed);
    this.bytes = wider;
  }
}
