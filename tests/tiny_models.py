"""Tiny models with random weights, laid out as on the hub: they find random things, but by the real code."""

from pathlib import Path
from typing import Any

WORDS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
WORDS |= dict(enumerate(["white", "square", "the", "dog"], start=2000))
"""Of BERT's vocabulary, at their places."""


def tiny_sam2(folder: Path) -> Path:
    """SAM 2 video for pictures of 256x256, 1.4 million weights."""
    import torch
    from transformers import Sam2VideoConfig, Sam2VideoModel

    torch.manual_seed(0)
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [256, 256],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "global_attention_blocks": [3],
        "window_size_per_stage": [8, 4, 8, 4],
        "window_positional_embedding_background_size": [7, 7],
    }
    config = Sam2VideoConfig(
        image_size=256,
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
            "fpn_hidden_size": 128,
        },
        prompt_encoder_config={"hidden_size": 128, "image_size": 256},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 64, "num_hidden_layers": 1, "iou_head_hidden_dim": 64},
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[16, 16],
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
    )
    return saved(Sam2VideoModel(config), folder)


def tiny_grounding_dino(folder: Path) -> Path:
    """Grounding DINO with 20 queries and a BERT of two layers, and its tokenizer."""
    import torch
    from transformers import BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS.get(n, f"[unused{n}]") for n in range(2010)) + "\n")
    BertTokenizer(str(vocabulary)).save_pretrained(folder)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": 64,
            "embed_dim": 16,
            "depths": [1, 1, 2, 1],
            "num_heads": [1, 2, 4, 8],
            "window_size": 4,
            "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert",
            "vocab_size": 2010,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
        d_model=32,
        num_queries=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    return saved(GroundingDinoForObjectDetection(config), folder)


def tiny_sam3(folder: Path) -> Path:
    """SAM 3 video for pictures of 112x112, with the tokenizer of five words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Sam3VideoConfig, Sam3VideoModel

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "white", "square", "dog", "[EOS]"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    vision = {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": 128,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "pretrain_image_size": 56,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
    }
    small: dict[str, Any] = {"hidden_size": 128, "num_attention_heads": 2}
    text = {
        "model_type": "clip_text_model",
        "vocab_size": 6,
        "hidden_size": 32,
        "intermediate_size": 32,
        "projection_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "eos_token_id": 5,
    }
    layers = {**small, "num_layers": 1, "intermediate_size": 64}
    config = Sam3VideoConfig(
        low_res_mask_size=32,
        detector_config={
            "model_type": "sam3",
            "vision_config": vision,
            "text_config": text,
            "geometry_encoder_config": layers,
            "detr_encoder_config": layers,
            "detr_decoder_config": {**layers, "num_queries": 4},
            "mask_decoder_config": small,
        },
        tracker_config={
            "model_type": "sam3_tracker_video",
            "vision_config": vision,
            "image_size": 112,
            "prompt_encoder_config": {"hidden_size": 128, "image_size": 112},
            "mask_decoder_config": {
                "hidden_size": 128,
                "mlp_dim": 64,
                "num_attention_heads": 2,
                "iou_head_hidden_dim": 32,
            },
            "memory_attention_hidden_size": 128,
            "memory_attention_num_layers": 1,
            "memory_attention_feed_forward_hidden_size": 64,
            "memory_encoder_hidden_size": 128,
            "mask_downsampler_embed_dim": 128,
            "memory_fuser_embed_dim": 128,
            "memory_fuser_intermediate_dim": 64,
            "memory_fuser_num_layers": 1,
        },
    )
    return saved(Sam3VideoModel(config), folder)


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder
