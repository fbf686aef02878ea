/** Figures in sentences. */

/** Bytes as whole megabytes, rounded up: "1,234 MB". */
export const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`
