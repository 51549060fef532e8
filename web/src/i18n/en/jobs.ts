// Texts of the pages in src/pages/jobs.
export const jobs = {} as const;
