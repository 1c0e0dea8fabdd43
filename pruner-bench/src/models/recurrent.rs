//! Recurrent classifiers of sequences of words.

use tch::nn::{self, RNN as _};

use super::layers::linear;

/// LSTM over the embeddings of 100 words, with 4 classes read off the last hidden state.
pub fn lstm_classifier(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let embedding = nn::embedding(vs / "embedding", 100, width, nn::EmbeddingConfig::default());
    let lstm = nn::lstm(vs / "lstm", width, 2 * width, nn::RNNConfig::default());
    let fc = linear(vs / "fc", 2 * width, 4);
    nn::func_t(move |tokens, _train| {
        let (_, state) = lstm.seq(&tokens.apply(&embedding));
        state.h().squeeze_dim(0).apply(&fc)
    })
}

/// Two layers of LSTM in both directions, with 4 classes read off the mean of the results.
pub fn bilstm_classifier(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let embedding = nn::embedding(vs / "embedding", 100, width, nn::EmbeddingConfig::default());
    let config = nn::RNNConfig { num_layers: 2, bidirectional: true, ..Default::default() };
    let lstm = nn::lstm(vs / "lstm", width, width, config);
    let fc = linear(vs / "fc", 2 * width, 4);
    nn::func_t(move |tokens, _train| {
        let (results, _) = lstm.seq(&tokens.apply(&embedding));
        results.mean_dim(1, false, None).apply(&fc)
    })
}

/// GRU over the embeddings of 100 words, with 4 classes read off the last result.
pub fn gru_classifier(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let embedding = nn::embedding(vs / "embedding", 100, width, nn::EmbeddingConfig::default());
    let gru = nn::gru(vs / "gru", width, 2 * width, nn::RNNConfig::default());
    let fc = linear(vs / "fc", 2 * width, 4);
    nn::func_t(move |tokens, _train| {
        let (results, _) = gru.seq(&tokens.apply(&embedding));
        results.select(1, -1).apply(&fc)
    })
}
