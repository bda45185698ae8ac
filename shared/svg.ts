/** Text as it must stand in XML, attributes too. */
export function escapeXml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** Sizes of a picture, in px. */
export interface SvgOptions {
  readonly width: number;
  readonly height: number;
  readonly fontSize: number;
}

/** An SVG file of these elements. Text stays text and lines are vectors, so that a paper can take it as it is. */
export function svgDocument(elements: readonly string[], { width, height, fontSize }: SvgOptions): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif" font-size="${fontSize}">`,
    ...elements,
    "</svg>",
    "",
  ].join("\n");
}
