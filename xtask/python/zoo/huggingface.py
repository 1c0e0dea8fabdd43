"""Architectures of Hugging Face in small random configurations."""

import transformers

from .example import Example, hide_nothing, images, tokens

SMALL = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
DECODER = dict(SMALL, num_key_value_heads=2, max_position_embeddings=64, use_cache=False, pad_token_id=0)
VISION = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=64, patch_size=16
)
STAGES = dict(hidden_sizes=[16, 32, 32, 32], depths=[1, 1, 1, 1])
ENCODER_DECODER = dict(
    vocab_size=99,
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=48,
    decoder_ffn_dim=48,
    use_cache=False,
)


def of(model, config, **settings):
    """A model of the library with a configuration of the library."""
    return lambda: getattr(transformers, model)(getattr(transformers, config)(**settings))


def decoder(family, **settings):
    return of(family + "ForCausalLM", family + "Config", **DECODER, **settings), read


def read():
    return dict(input_ids=tokens())


def read_and_write():
    return dict(input_ids=tokens(), decoder_input_ids=tokens())


def see():
    return dict(pixel_values=images(64))


def hear():
    return dict(input_features=images(40)[:, 0, :16, :], decoder_input_ids=tokens())


def detr():
    backbone = transformers.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], out_features=["stage2"]
    )
    settings = {name: value for name, value in ENCODER_DECODER.items() if name not in ("vocab_size", "use_cache")}
    settings.update(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, num_queries=7)
    return transformers.DetrModel(transformers.DetrConfig(backbone_config=backbone, **settings))


def clip():
    text = dict(SMALL, max_position_embeddings=32, eos_token_id=2)
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))


MODELS = {
    "bert": (of("BertModel", "BertConfig", **SMALL), read),
    "roberta": (of("RobertaModel", "RobertaConfig", **SMALL), read),
    "distilbert": (
        of("DistilBertModel", "DistilBertConfig", vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
        read,
    ),
    "gpt2": (of("GPT2LMHeadModel", "GPT2Config", vocab_size=99, n_embd=32, n_layer=2, n_head=4, use_cache=False), read),
    "llama": decoder("Llama"),
    "qwen2": decoder("Qwen2"),
    "qwen3": decoder("Qwen3", head_dim=8),
    "mistral": decoder("Mistral"),
    "gemma": decoder("Gemma", head_dim=8),
    "phi": decoder("Phi"),
    "t5": (
        of(
            "T5ForConditionalGeneration",
            "T5Config",
            vocab_size=99,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            use_cache=False,
        ),
        read_and_write,
    ),
    "bart": (of("BartModel", "BartConfig", **ENCODER_DECODER, max_position_embeddings=64), read_and_write),
    "whisper": (
        of(
            "WhisperModel",
            "WhisperConfig",
            **ENCODER_DECODER,
            num_mel_bins=16,
            max_source_positions=20,
            max_target_positions=30,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        ),
        hear,
    ),
    "vit": (of("ViTModel", "ViTConfig", **VISION), see),
    "deit": (of("DeiTModel", "DeiTConfig", **VISION), see),
    "swin": (
        of(
            "SwinModel",
            "SwinConfig",
            image_size=64,
            patch_size=4,
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=4,
        ),
        see,
    ),
    "segformer": (
        of(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            **STAGES,
            num_attention_heads=[1, 2, 4, 4],
            decoder_hidden_size=32,
            num_labels=5,
        ),
        see,
    ),
    "detr": (detr, see),
    "clip": (clip, lambda: read() | see()),
    "convnextv2": (of("ConvNextV2Model", "ConvNextV2Config", **STAGES, image_size=64), see),
    "modernbert": (
        of(
            "ModernBertModel",
            "ModernBertConfig",
            **SMALL,
            pad_token_id=0,
            cls_token_id=1,
            sep_token_id=2,
            global_attn_every_n_layers=2,
        ),
        read,
    ),
}


def names():
    return list(MODELS)


def example(name):
    build, inputs = MODELS[name]
    return Example(hide_nothing(build()), kwargs=inputs())
