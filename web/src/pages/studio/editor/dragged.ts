/** What a module of the palette is while it is dragged. */
export const DRAGGED = 'application/x-strata-module';
