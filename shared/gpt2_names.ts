/** OpenAI's models as nanoGPT names them: `init_from` takes these words, and Hugging Face has the weights. */
export const GPT2_NAMES = ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"] as const;
