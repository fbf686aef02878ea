/** What goes wrong with a template: it cannot be read, or it cannot be carried out. */

/** The template is no Jinja, or has a tag, filter or test that is not there. */
export class TemplateSyntaxError extends Error {
  constructor(message: string, line?: number) {
    super(line === undefined ? message : `${message} (line ${line})`)
    this.name = 'TemplateSyntaxError'
  }
}

/** What the template does with these values makes no sense, or it refuses them itself. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'TemplateError'
  }
}
