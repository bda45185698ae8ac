import { send } from "/assets/api.js";
import { element } from "/assets/dom.js";

/** How long a command that cannot be taken back may be confirmed, in ms. */
const SURE_MS = 4_000;

/** Commands to the run that is shown; the server's table says which there are. */
export class Steering {
  #run = null;
  #forms;

  constructor(commands) {
    this.#forms = commands.filter(({ acts }) => acts).map((command) => this.#form(command));
    document.getElementById("commands").replaceChildren(...this.#forms.map(({ form }) => form));
  }

  /** Who can be named: `workers` are names of the members. */
  show(run, { steerable, workers }) {
    this.#run = run;
    document.getElementById("steering").hidden = !steerable;
    for (const { select } of this.#forms) {
      if (select === null || document.activeElement === select) continue;
      const chosen = select.value;
      select.replaceChildren(...workers.map((id) => element("option", { value: id }, id)));
      if (workers.includes(chosen)) select.value = chosen;
    }
  }

  #form({ name, summary, parameters, isFinal }) {
    const fields = parameters.map(({ label, isWorker, choices }) => {
      const options = { name: label, "aria-label": `${name}: ${label}`, required: true };
      if (choices !== undefined) {
        return element(
          "select",
          options,
          ...choices.map((choice) => element("option", { value: choice }, choice)),
        );
      }
      return isWorker
        ? element("select", options)
        : element("input", { ...options, type: "text", placeholder: label });
    });
    const button = element("button", { type: "submit", title: summary }, name);
    const form = element("form", { class: "command" }, ...fields, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (isFinal && !this.#isSure(button, name)) return;
      this.#send({ name, words: fields.map(({ value }) => value) }, button);
    });
    return { form, select: fields.find((_, i) => parameters[i].isWorker) ?? null };
  }

  /** The second press within a while counts. */
  #isSure(button, name) {
    const calm = () => {
      button.classList.remove("sure");
      button.textContent = name;
    };
    if (button.classList.contains("sure")) {
      calm();
      return true;
    }
    button.classList.add("sure");
    button.textContent = `really ${name}?`;
    setTimeout(calm, SURE_MS);
    return false;
  }

  async #send(command, button) {
    const answer = document.getElementById("answer");
    answer.classList.remove("bad");
    answer.textContent = `${command.name} …`;
    button.disabled = true;
    try {
      answer.textContent = (await send(this.#run, command)).text;
    } catch (error) {
      answer.classList.add("bad");
      answer.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }
}
