/** Something that a person has to mend: `message` is one sentence that names it, `cure` says what to do. */
export class SetupProblem extends Error {
  name = 'SetupProblem';
  /**
   * @param {string} message
   * @param {string} cure
   */
  constructor(message, cure) {
    super(message);
    this.cure = cure;
  }
}
