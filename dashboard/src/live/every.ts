/** Does something every so often, while somebody looks. Call what is returned to end it. */
export function every(milliseconds: number, work: () => unknown): () => void {
  const timer = setInterval(() => document.visibilityState === "visible" && work(), milliseconds);
  return () => clearInterval(timer);
}
