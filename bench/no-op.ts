/** An activity that does nothing: all that is measured is how it gets there and back. */
export const noOpActivities = { noOp: async (): Promise<void> => undefined };
export type NoOp = typeof noOpActivities;
