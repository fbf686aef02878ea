/**
 * ONNX Runtime's builds for Linux report their use to their maker: a thread uploads events,
 * and files are left in the folder for temporary files. A person's conversations are nobody
 * else's business, so it is off, always. The runtime reads this when it is initialized.
 */

/**
 * Turns the reports off. In the main thread, before an engine's worker starts: what a
 * worker writes into its environment does not reach the C library.
 */
export const quietRuntime = (): void => {
  process.env.ORT_DISABLE_TELEMETRY = '1'
}
