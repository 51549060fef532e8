/** As large as the graph that comes: what follows does not move. */
export const GraphWait = () => <div className="graph-view" aria-busy="true" />;
