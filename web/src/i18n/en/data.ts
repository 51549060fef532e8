// Texts of the pages in src/pages/data.
export const data = {} as const;
