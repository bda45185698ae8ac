/** The transpose (columns, rows) of a row-major matrix (rows, columns). */
export function transpose(data: Float32Array, [rows, columns]: readonly number[]): Float32Array<ArrayBuffer> {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = data[row * columns + column];
    }
  }
  return result;
}
