/** A prime-order curve y² = x³ − 3x + b (SP 800-186, 3.2.1). */
export interface Curve {
  readonly p: bigint;
  readonly n: bigint;
  readonly base: Point;
}

/** An affine point. */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** x = X/Z², y = Y/Z³; Z = 0 is infinity. */
export interface Jacobian {
  readonly X: bigint;
  readonly Y: bigint;
  readonly Z: bigint;
}

/** Curves by the names of node:crypto. */
export const CURVES: Readonly<Record<string, Curve>> = {
  prime256v1: {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    base: {
      x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    },
  },
  secp384r1: {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    base: {
      x: 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      y: 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
    },
  },
  secp521r1: {
    p: 2n ** 521n - 1n,
    n: 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n,
    base: {
      x: 0x0c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
      y: 0x11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
    },
  },
};

const INFINITY: Jacobian = { X: 1n, Y: 1n, Z: 0n };
const WINDOW_BITS = 5;
const WINDOW = 2 ** WINDOW_BITS;

/** Multiples of one point, for each window of bits of a factor: with them no multiplication needs doublings. */
export interface MultiplesTable {
  readonly curve: Curve;
  /** By window, then by the window's bits less one. */
  readonly windows: readonly (readonly Point[])[];
}

/** Takes some milliseconds: keep it with the key. */
export function multiplesOf(curve: Curve, point: Point): MultiplesTable {
  const windows: Jacobian[][] = [];
  let first: Jacobian = { X: point.x, Y: point.y, Z: 1n };
  for (let bits = 0; bits < curve.n.toString(2).length; bits += WINDOW_BITS) {
    const row = [first];
    for (let i = 2; i < WINDOW; i++) row.push(add(row.at(-1) ?? INFINITY, first, curve.p));
    windows.push(row);
    first = add(row.at(-1) ?? INFINITY, first, curve.p);
  }
  return { curve, windows: windows.map((row) => toAffine(row, curve.p)) };
}

/** `start` plus `factor` times the table's point. Not in constant time: for public numbers only. */
export function addMultiple(start: Jacobian, table: MultiplesTable, factor: bigint): Jacobian {
  let sum = start;
  let rest = factor;
  for (const row of table.windows) {
    const bits = Number(rest & BigInt(WINDOW - 1));
    rest >>= BigInt(WINDOW_BITS);
    const point = row[bits - 1];
    if (point !== undefined) sum = addAffine(sum, point, table.curve.p);
  }
  return sum;
}

export function infinity(): Jacobian {
  return INFINITY;
}

/** A number modulo p, not negative. */
export function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** The inverse modulo a prime, by Euclid's algorithm. */
export function invert(value: bigint, modulus: bigint): bigint {
  let [a, b] = [mod(value, modulus), modulus];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return mod(x, modulus);
}

function add(left: Jacobian, right: Jacobian, p: bigint): Jacobian {
  const z = mod(right.Z * right.Z, p);
  if (z === 0n) return left;
  // Scaled by the right Z, so that the sum is that with an affine point.
  const X = (left.X * z) % p;
  const Y = (((left.Y * z) % p) * right.Z) % p;
  const inverse = { X, Y, Z: left.Z };
  const sum = addJacobian(inverse, right.X, right.Y, p);
  return sum === undefined ? double(left, p) : { ...sum, Z: (sum.Z * right.Z) % p };
}

function addAffine(left: Jacobian, { x, y }: Point, p: bigint): Jacobian {
  if (left.Z === 0n) return { X: x, Y: y, Z: 1n };
  return addJacobian(left, x, y, p) ?? double(left, p);
}

/** Sum with a point of Z = 1; `undefined` when the two are one point. */
function addJacobian(left: Jacobian, x: bigint, y: bigint, p: bigint): Jacobian | undefined {
  const zz = (left.Z * left.Z) % p;
  const h = mod(x * zz - left.X, p);
  const r = mod(((y * left.Z) % p) * zz - left.Y, p);
  if (h === 0n) return r === 0n ? undefined : INFINITY;
  const hh = (h * h) % p;
  const hhh = (h * hh) % p;
  const v = (left.X * hh) % p;
  const X = mod(r * r - hhh - 2n * v, p);
  return { X, Y: mod(r * (v - X) - left.Y * hhh, p), Z: (left.Z * h) % p };
}

function double({ X, Y, Z }: Jacobian, p: bigint): Jacobian {
  const zz = (Z * Z) % p;
  const yy = (Y * Y) % p;
  const s = (4n * X * yy) % p;
  const m = mod(3n * (X - zz) * (X + zz), p);
  const x = mod(m * m - 2n * s, p);
  return { X: x, Y: mod(m * (s - x) - 8n * yy * yy, p), Z: mod(2n * Y * Z, p) };
}

/** Divides all at once: one inverse of the product of all Z instead of one for each (Montgomery's trick). */
function toAffine(points: readonly Jacobian[], p: bigint): readonly Point[] {
  const products = [1n];
  for (const { Z } of points) products.push(((products.at(-1) ?? 1n) * Z) % p);
  let inverse = invert(products.at(-1) ?? 1n, p);
  const affine: Point[] = [];
  for (const [i, { X, Y, Z }] of [...points.entries()].reverse()) {
    const own = (inverse * (products[i] ?? 1n)) % p;
    inverse = (inverse * Z) % p;
    const square = (own * own) % p;
    affine.push({ x: (X * square) % p, y: (((Y * square) % p) * own) % p });
  }
  return affine.reverse();
}
