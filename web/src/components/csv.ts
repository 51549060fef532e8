// Rows as CSV (RFC 4180), for a spreadsheet that must not take a text from outside for a formula.

export type Cell = string | number | null | undefined;

function field(cell: Cell): string {
  const text = typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : String(cell ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

export const csvOf = (head: string[], rows: Cell[][]): string => [head, ...rows].map((row) => row.map(field).join(',') + '\r\n').join('');

/** Hands a text to the browser as a file. The mark in front lets spreadsheets see that it is UTF-8. */
export function saveCsv(name: string, text: string) {
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
