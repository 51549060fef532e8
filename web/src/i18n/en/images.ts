// Texts of the pages in src/pages/images.
export const images = {} as const;
