/** The version of the software; nodes of one ring have the same. Kept equal to package.json. */
export const version = '0.1.0'
