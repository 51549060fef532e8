// Texts of the pages in src/pages/admin and src/pages/account.
export const admin = {} as const;
