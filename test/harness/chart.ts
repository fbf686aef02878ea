/** Tokens against time, as in the paper's figures: a table and a drawing. */
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { RunFigures } from './measure.ts'

type Point = { nodes: number; seconds: number; tokens: number }

/** How many tokens there were, of all samples together, at each moment. */
const pointsOf = (runs: readonly RunFigures[]): Point[] =>
  runs.flatMap(({ nodes, moments }) =>
    moments
      .toSorted((a, b) => a.seconds - b.seconds)
      .map(({ seconds }, i) => ({ nodes, seconds, tokens: i + 1 })),
  )

/** `nodes,sample,token,seconds` */
export const csvOf = (runs: readonly RunFigures[]): string => {
  const rows = runs.flatMap(({ nodes, moments }) =>
    moments.map((m) => `${nodes},${m.sample},${m.token},${m.seconds.toFixed(4)}`),
  )
  return `${['nodes,sample,token,seconds', ...rows].join('\n')}\n`
}

/** A line for each number of nodes. */
export const svgOf = async (runs: readonly RunFigures[], title: string): Promise<string> => {
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: `${title}: tokens against time`,
    background: 'white',
    width: 560,
    height: 320,
    data: { values: pointsOf(runs) },
    mark: 'line',
    encoding: {
      x: { field: 'seconds', type: 'quantitative', title: 'seconds' },
      y: { field: 'tokens', type: 'quantitative', title: 'tokens, all samples' },
      color: { field: 'nodes', type: 'ordinal', title: 'nodes' },
    },
  }
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
}
